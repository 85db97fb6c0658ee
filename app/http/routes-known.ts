import type { FastifyInstance } from 'fastify'

import { Problem } from './problem.ts'

/** Tells a wrong method (405, with `allow`) from a wrong address (404), which the router does not. Register before any route. */
export function answerUnknownRoutes(app: FastifyInstance): void {
  const methodsByPattern = new Map<string, Set<string>>()
  app.addHook('onRoute', ({ url, method }) => {
    const methods = methodsByPattern.get(url) ?? new Set()
    for (const one of [method].flat()) methods.add(one)
    methodsByPattern.set(url, methods)
  })
  app.setNotFoundHandler((request, reply) => {
    const path = request.url.split('?', 1)[0] ?? ''
    const allowed = new Set<string>()
    for (const [pattern, methods] of methodsByPattern) {
      if (matches(pattern, path)) for (const method of methods) allowed.add(method)
    }
    // A file that is not there has a method, but no content.
    if (allowed.size === 0 || allowed.has(request.method))
      throw new Problem('route-not-found', 'There is nothing at this address: see /docs.')
    const allow = [...allowed].toSorted().join(', ')
    void reply.header('allow', allow)
    throw new Problem('method-not-allowed', `${request.method} is not among the methods of this address: ${allow}.`)
  })
}

/** `:name` stands for one part, `*` for the rest. */
export function matches(pattern: string, path: string): boolean {
  const wanted = pattern.split('/')
  const given = path.split('/')
  if (!wanted.includes('*') && wanted.length !== given.length) return false
  for (const [index, part] of wanted.entries()) {
    if (part === '*') return true
    const has = given[index]
    const fits = part.startsWith(':') ? has !== undefined && has !== '' : part === has
    if (!fits) return false
  }
  return true
}
