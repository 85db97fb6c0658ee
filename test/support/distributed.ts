/** The order system in distributed mode, with a broker and a Kafka Connect of its own. */
import type { TestScope } from './defer.ts'
import { type OwnStack, ownStack } from './stack.ts'
import { type TestSystem, type TestSystemOptions, testSystem } from './system.ts'

/** For a test of many parts on one system: its servers take longer to start than most parts take. */
export const WHOLE_MS = 7 * 60_000

export interface DistributedSystem extends TestSystem {
  readonly stack: OwnStack
}

export async function distributedSystem(
  scope: TestScope,
  options: Omit<TestSystemOptions, 'stack'> = {},
): Promise<DistributedSystem> {
  // What the connector has sent is told to PostgreSQL soon, so that a test can wait for it.
  const stack = await ownStack(scope, { connectSettings: { 'offset.flush.interval.ms': '100' } })
  return { ...(await testSystem(scope, { ...options, stack })), stack }
}
