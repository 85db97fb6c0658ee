/** Cleanup in reverse order. node:test runs `after` hooks first come, first served: a database would go before its users. */

/** node:test's TestContext, or `{ after }` imported from node:test for a whole file. */
export interface TestScope {
  after(cleanup: () => void | Promise<void>): void
}

type Cleanup = () => unknown

const stacks = new WeakMap<TestScope, Cleanup[]>()

/** The latest is run first; a failure doesn't keep the others from running. */
export function defer(scope: TestScope, cleanup: Cleanup): void {
  const known = stacks.get(scope)
  if (known !== undefined) {
    known.push(cleanup)
    return
  }
  const stack = [cleanup]
  stacks.set(scope, stack)
  scope.after(async () => {
    const failures: unknown[] = []
    for (let next = stack.pop(); next !== undefined; next = stack.pop()) {
      try {
        await next()
      } catch (error) {
        failures.push(error)
      }
    }
    if (failures.length > 0) throw new AggregateError(failures, `Cleanup failed: ${failures.map(String).join('; ')}`)
  })
}
