import type { Column } from '../relation.ts'
import type { TypeEncoder } from './types/type-encoder.ts'

const LITERAL = /^\(?(?:B?'((?:[^']|'')*)'|(-?\d+(?:\.\d+)?(?:e[+-]?\d+)?|true|false))\)?(?:::[^']+)?$/i
/** Where a function call begins the expression, Debezium looks no further: `(now() AT TIME ZONE 'utc'::text)` too. */
const FUNCTION_CALL = /^\(?[A-Za-z_"][\w."]*\(/
const FUNCTION_KEYWORD = /^(?:CURRENT_DATE|(?:CURRENT_TIME|CURRENT_TIMESTAMP|LOCALTIME|LOCALTIMESTAMP)(?:\(\d\))?)$/

/**
 * What Debezium's schema would have as the column's default, as JSON text; null if it would have none. JsonConverter
 * writes it wherever such a column is NULL (debezium-events.md 4.1). From `pg_get_expr`'s text: literals are read as
 * column values are, of function calls nothing is known but their type.
 */
export function columnDefault(column: Column, encoder: TypeEncoder): string | null {
  const expression = column.defaultExpression
  const { oid, rootOid } = column.type
  // Of a domain Debezium knows no default.
  if (expression === null || !encoder.takesDefaults || oid !== rootOid) return null
  if (FUNCTION_KEYWORD.test(expression) || FUNCTION_CALL.test(expression)) return encoder.functionDefault
  const literal = LITERAL.exec(expression)
  if (!literal) return null
  try {
    return encoder.encode(literal[2] ?? (literal[1] ?? '').replaceAll("''", "'"), false)
  } catch {
    // A literal in a form that the type's own output never has: Debezium can't read it either.
    return null
  }
}
