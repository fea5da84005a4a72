import { checkTablesOfTests } from './support/tables-of-tests.js'

checkTablesOfTests('SECURITY.md', 35)
