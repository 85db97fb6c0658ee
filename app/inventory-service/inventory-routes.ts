import type { Sql } from 'postgres'
import { Type } from 'typebox'

import { ProductId, answers } from '../http/fields.ts'
import { giveToken, tokenOf } from '../http/freshness.ts'
import { readInTime, writeInTime } from '../http/fresh-write.ts'
import { isStorableText } from '../http/json-body.ts'
import { Problem } from '../http/problem.ts'
import type { HttpServer } from '../http/server.ts'
import { listStocks, readStock, setOnHand } from './inventory-store.ts'

const MAX_ON_HAND = 2_147_483_647
const MAX_PAGE = 1_000

const Stock = Type.Object({
  productId: Type.String(),
  onHand: Type.Integer(),
  reserved: Type.Integer(),
  available: Type.Integer({ description: 'onHand - reserved; below zero where less is on hand than was promised' }),
})

const ProductParams = Type.Object({ productId: ProductId })

const ListQuery = Type.Object({
  after: Type.Optional(Type.String({ maxLength: 200, description: 'the last product id of the page before' })),
  limit: Type.Optional(Type.String({ pattern: '^[1-9][0-9]{0,3}$', description: `a number from 1 to ${MAX_PAGE}` })),
})

const OnHandBody = Type.Object(
  { onHand: Type.Integer({ minimum: 0, maximum: MAX_ON_HAND }) },
  { additionalProperties: false },
)

/**
 * Stock, read from the database each time: so every read sees every write, and a freshness token has nothing to add. It is given
 * and taken all the same: a client need not know which services cache.
 */
export function inventoryRoutes(
  app: HttpServer,
  deps: { readonly inventory: Sql },
  options: { readonly defaultStock: number },
): void {
  const { inventory } = deps
  const { defaultStock } = options

  app.get(
    '/api/inventory',
    {
      schema: {
        summary: 'Products that were stocked or reserved, by id, a page at a time',
        querystring: ListQuery,
        response: answers(200, Type.Object({ inventory: Type.Array(Stock) })),
      },
    },
    async (request) => {
      tokenOf(request)
      const after = storable(request.query.after ?? '', 'querystring/after')
      const limit = Number(request.query.limit ?? MAX_PAGE)
      if (limit > MAX_PAGE) throw new Problem('invalid-request', `querystring/limit must be from 1 to ${MAX_PAGE}.`)
      return { inventory: await readInTime(() => listStocks(inventory, { after, limit }, defaultStock)) }
    },
  )

  app.get(
    '/api/inventory/:productId',
    {
      schema: {
        summary: 'The stock of a product',
        description: 'A product that nobody stocked has the default stock.',
        params: ProductParams,
        response: answers(200, Stock),
      },
    },
    async (request) => {
      tokenOf(request)
      const productId = storable(request.params.productId, 'params/productId')
      return await readInTime(() => readStock(inventory, productId, defaultStock))
    },
  )

  app.put(
    '/api/inventory/:productId',
    {
      schema: {
        summary: 'Say how much of a product is on hand',
        description:
          'May be less than is reserved: what lies on the shelf is a fact, what was promised another. ' +
          'Nothing more is reserved until there is enough again.',
        params: ProductParams,
        body: OnHandBody,
        response: answers(200, Stock),
      },
    },
    async (request, reply) => {
      const productId = storable(request.params.productId, 'params/productId')
      const { result, token } = await writeInTime(inventory, async (tx) => {
        await setOnHand(tx, productId, request.body.onHand)
        return await readStock(tx, productId, defaultStock)
      })
      giveToken(reply, token)
      return result
    },
  )
}

function storable(text: string, place: string): string {
  if (!isStorableText(text)) throw new Problem('malformed-id', `${place} must be text without NUL.`)
  return text
}
