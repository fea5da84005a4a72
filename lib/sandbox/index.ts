export { startSandbox, type Sandbox, type SandboxBank, type SandboxConfig } from './sandbox.js'
export { type SandboxAuthMethod, type SandboxFlow, type SandboxOptions } from './options.js'
export { type Persona, type PersonaClaims } from './personas.js'
