/// <reference types="node" preserve="true" />
export { startSandbox } from './start-sandbox.js'
// `export type` throughout: what is behind these needs packages that may be missing.
export type { Sandbox, SandboxBank } from './sandbox.js'
export type { SandboxConfig } from './config.js'
export type { SandboxOptions } from './options.js'
export { FAULTS, type Fault } from './faults.js'
export type { OwnBank, OwnPersona, Persona, PersonaClaims } from './bank/personas.js'
export type { ClientCertificate, ClientCertificateKind } from './http/tls.js'
