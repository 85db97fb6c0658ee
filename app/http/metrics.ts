import type { FastifyInstance } from 'fastify'
import { Histogram, type Registry } from 'prom-client'

const NAME = 'http_request_duration_seconds'

/** By route pattern, not by address: an id is not a label. Services of one process share the registry, and so the metric. */
export function measureRequests(app: FastifyInstance, service: string, registry: Registry): void {
  const duration =
    (registry.getSingleMetric(NAME) as Histogram | undefined) ??
    new Histogram({
      name: NAME,
      help: 'Time from the request to the end of its answer.',
      labelNames: ['service', 'method', 'route', 'status', 'cache'],
      // From what Redis on the same machine takes to what a deadline allows.
      buckets: [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5, 20],
      registers: [registry],
    })
  app.addHook('onResponse', async (request, reply) => {
    const labels = {
      service,
      method: request.method,
      route: request.routeOptions.url ?? 'unknown',
      status: String(reply.statusCode),
      cache: String(reply.getHeader('x-cache') ?? 'none'),
    }
    duration.observe(labels, reply.elapsedTime / 1000)
  })
}
