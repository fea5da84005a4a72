import { generateJwks } from 'passport-idpartner'
import { startSandbox } from 'passport-idpartner/sandbox'
import { createApp, type Shop } from './app.js'

const url = 'http://localhost:3000'

/** Each shop has a client id, keys and, since a sandbox knows one application, a sandbox of its own. */
async function open(id: string, name: string): Promise<[string, Shop]> {
  const { config } = await startSandbox({
    client_id: `shop-${id}`,
    client_name: name,
    callback: `${url}/${id}/login/callback`,
    jwks_uri: `${url}/${id}/jwks`,
  })
  return [id, { name, config: { ...config, jwks: await generateJwks() } }]
}

const shops = new Map([await open('north', 'North Shop'), await open('south', 'South Shop')])
createApp(shops).listen(3000, 'localhost', (err) => {
  if (err) throw err // such as a port that is taken
  for (const [id, { name }] of shops) console.log(`${name}: ${url}/${id}/login, as mikomo_10`)
})
