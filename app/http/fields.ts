import { type TSchema, Type } from 'typebox'

/** Parts of schemas that both services use. A pattern's description completes "... must be" in the answer to a wrong one. */

const UUID_PATTERN = '^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$'

export const Uuid = Type.String({
  pattern: UUID_PATTERN,
  description: 'a UUID, as in 7e6f0a3c-93c5-4f0a-8f5e-2b1d6a9c4e11',
})

export const OrderIdParams = Type.Object({ id: Uuid })

/** A body is checked for text that PostgreSQL cannot hold when it is parsed; addresses are checked here. */
export const StorableText = (maxLength: number) =>
  Type.String({ minLength: 1, maxLength, pattern: '^[^\\u0000]*$', description: 'text without NUL' })

export const ProductId = StorableText(200)

export const ProblemSchema = Type.Object(
  {
    type: Type.String(),
    title: Type.String(),
    status: Type.Integer(),
    detail: Type.String(),
  },
  { description: 'RFC 9457: `type` is stable, `detail` is for people' },
)

/**
 * A route's answers, for the documentation alone: what is sent are documents as the cache holds them, so the type checker is
 * not asked about them.
 */
export const answers = (status: 200 | 201, schema: TSchema) => ({
  [status]: Type.Unsafe<unknown>(schema),
  '4xx': Type.Unsafe<unknown>(ProblemSchema),
  '5xx': Type.Unsafe<unknown>(ProblemSchema),
})

export const FreshHeaders = Type.Object({
  'x-freshness-token': Type.Optional(Type.String({ description: 'from a write: the answer includes that write' })),
})
