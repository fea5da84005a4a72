export { matchReceipt, redactReceipt } from './redact-receipt.js'
export type { TrustAnchors } from './trust-anchors.js'
export {
  verifyReceipt,
  verifyRedactedReceipt,
  type VerifiedReceipt,
  type VerifiedStatement,
  type VerifyReceiptOptions,
} from './verify-receipt.js'
