/** One after the other, in the order in which they were given; one that fails does not keep the next from its turn. */
export type Turns = <T>(step: () => Promise<T>) => Promise<T>

export function createTurns(): Turns {
  let last: Promise<unknown> = Promise.resolve()
  return (step) => {
    const mine = last.then(step)
    last = mine.catch(() => undefined)
    return mine
  }
}
