/** Publishes your public keys. */
export const GET = async () => Response.json(await globalThis.idpartner.client.getPublicJWKs())
