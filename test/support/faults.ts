import type { ServerResponse } from 'node:http'
import { TLSSocket } from 'node:tls'
import { FREE_TEXT } from './secrets.js'

/** What a server answers. */
export interface Reply {
  status: number
  headers: Record<string, string>
  body: string
}

/** How an endpoint misbehaves; it knows what it would have answered. */
export type Fault = (res: ServerResponse, genuine: Reply) => void

export function json(body: unknown, status = 200): Reply {
  return { status, headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }
}

export const send = (res: ServerResponse, { status, headers, body }: Reply): void => {
  res.writeHead(status, { ...headers, 'content-length': Buffer.byteLength(body) }).end(body)
}

/** Over TLS, where Node sends no reset, it is only ended. */
export const reset: Fault = ({ socket }) =>
  socket instanceof TLSSocket ? socket.destroy() : socket?.resetAndDestroy()

export const hang: Fault = () => undefined

export const hangInBody: Fault = (res, { headers, body }) => {
  res.writeHead(200, { ...headers, 'content-length': body.length }).write(body.slice(0, 1))
}

/** Never silent for long, and never done. */
export const drip: Fault = (res, { headers, body }) => {
  res.writeHead(200, { ...headers, 'content-length': body.length + 1e6 })
  res.write(body)
  const timer = setInterval(() => res.write(' '), 10)
  res.on('close', () => {
    clearInterval(timer)
  })
}

/** Answers as it should, but late. */
export function late(milliseconds: number): Fault {
  return (res, genuine) => {
    const timer = setTimeout(() => {
      send(res, genuine)
    }, milliseconds)
    res.on('close', () => {
      clearTimeout(timer)
    })
  }
}

/** The genuine JSON, padded to 10 MB with blanks. */
export const huge: Fault = (res, genuine) => {
  send(res, { ...genuine, body: genuine.body + ' '.repeat(10 * 1024 * 1024) })
}

export const truncated: Fault = (res, genuine) => {
  send(res, { ...genuine, body: genuine.body.slice(0, -10) })
}

/** Closes the connection before all the announced bytes were sent. */
export const brokenOff: Fault = (res, { headers, body }) => {
  res.writeHead(200, { ...headers, 'content-length': body.length })
  res.write(body.slice(0, -10), () => res.destroy())
}

export const html: Fault = answer(200, `<!doctype html><title>${FREE_TEXT}</title>`, 'text/html')

export const empty: Fault = answer(200, '')

/** The genuine answer, called something else. */
export const mislabelled: Fault = (res, genuine) => {
  send(res, { ...genuine, headers: { 'content-type': 'text/html' } })
}

export function answer(status: number, body: unknown = '', contentType = 'application/json'): Fault {
  const text = typeof body === 'string' ? body : JSON.stringify(body)
  return (res) => {
    send(res, { status, headers: { 'content-type': contentType }, body: text })
  }
}

export function redirect(location: string, status = 302): Fault {
  return (res) => {
    res.writeHead(status, { location }).end()
  }
}
