/** An include list or an exclude list of anchored regular expressions; Debezium compares without regard to case. */
export interface NameFilter {
  readonly include: readonly RegExp[] | null
  readonly exclude: readonly RegExp[] | null
}

export function passes(filter: NameFilter, name: string): boolean {
  if (filter.include) return matchesAny(filter.include, name)
  return !filter.exclude || !matchesAny(filter.exclude, name)
}

export function matchesAny(expressions: readonly RegExp[], name: string): boolean {
  return expressions.some((expression) => expression.test(name))
}

/** Comma-separated; `\,` is a comma inside an expression. @throws SyntaxError if one is no regular expression */
export function parseExpressions(list: string): readonly RegExp[] {
  const parts = list.split(/(?<!\\),/).map((part) => part.trim().replaceAll('\\,', ','))
  return parts.filter((part) => part !== '').map(anchored)
}

export function anchored(expression: string): RegExp {
  return new RegExp(`^(?:${expression})$`, 'i')
}
