import { checkTablesOfTests } from './support/tables-of-tests.js'

checkTablesOfTests('docs/conformance.md', 70)
