import type { RequestListener } from 'node:http'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { generateJwks } from 'passport-idpartner'
import { startSandbox } from 'passport-idpartner/sandbox'
import { createApp, type Shop } from '../examples/tenants/app.js'
import { Browser } from './support/browser.js'
import { listen } from './support/listen.js'

const person = { login: 'mikomo_10', password: 'mikomo_10' }
const closing: (() => Promise<unknown>)[] = []
let url: string

beforeAll(async () => {
  const server = await listen()
  closing.push(() => server.close())
  url = server.url
  const open = async (id: string): Promise<[string, Shop]> => {
    const sandbox = await startSandbox({
      client_id: `shop-${id}`,
      callback: `${url}/${id}/login/callback`,
      jwks_uri: `${url}/${id}/jwks`,
    })
    closing.push(() => sandbox.close())
    return [id, { name: id, config: { ...sandbox.config, jwks: await generateJwks() } }]
  }
  server.serve(createApp(new Map([await open('north'), await open('south')])) as RequestListener)
})

afterAll(async () => {
  for (const close of closing.splice(0).reverse()) await close()
})

async function visit(browser: Browser, path: string): Promise<{ status: number; body: unknown }> {
  const { status, html } = await browser.open(url + path)
  return { status, body: JSON.parse(html) as unknown }
}

async function logIn(browser: Browser, shop: string): Promise<unknown> {
  const login = await browser.press(await browser.open(`${url}/${shop}/login`), 'Mikomo Bank')
  const consent = await browser.press(login, 'Log in', person)
  return JSON.parse((await browser.press(consent, 'Share and continue')).html)
}

describe('the shops of one application', () => {
  test('each know the customers who logged in there', async () => {
    const browser = new Browser()
    expect(await logIn(browser, 'north')).toMatchObject({ shop: 'north', customer: 'Philip Lindqvist' })
    expect((await visit(browser, '/south')).body).toMatchObject({ shop: 'south', customer: null })
    expect(await logIn(browser, 'south')).toMatchObject({ shop: 'south', customer: 'Philip Lindqvist' })
    expect((await visit(browser, '/north')).body).toMatchObject({ customer: 'Philip Lindqvist' })
  })

  test("take no answer to another's login", async () => {
    const browser = new Browser()
    await logIn(browser, 'north')
    const answer = browser.visited.findLast((one) => one.includes('response='))
    const elsewhere = new URL(answer ?? '')
    elsewhere.pathname = '/south/login/callback'
    expect(await visit(browser, elsewhere.href.slice(url.length))).toMatchObject({ status: 401 })
    expect((await visit(browser, '/south')).body).toMatchObject({ customer: null })
  })

  test('have keys of their own', async () => {
    const browser = new Browser()
    const [north, south] = [await visit(browser, '/north/jwks'), await visit(browser, '/south/jwks')]
    expect(north.body).not.toEqual(south.body)
  })

  test('are those, and no others', async () => {
    for (const path of ['', '/login', '/jwks', '/login/callback?response=x']) {
      expect(await visit(new Browser(), `/east${path}`)).toEqual({
        status: 404,
        body: { error: 'There is no such shop' },
      })
    }
  })
})
