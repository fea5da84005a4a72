export default {
  // Loaded as they are, and not made part of a bundle.
  serverExternalPackages: ['passport-idpartner', '@remix-run/html-template'],
  // What a bank answers is not for a console.
  logging: { incomingRequests: { ignore: [/^\/login\/callback/] } },
}
