import { type Static, Type } from 'typebox'

import { ORDER_STATES } from '../order-state.ts'
import { ProductId, Uuid } from '../http/fields.ts'

/** What the order service takes and gives. The limits are ours: far above what an order needs, far below what would hurt. */

const MAX_ITEMS = 1_000
/** What the column holds. */
const MAX_QUANTITY = 2_147_483_647

const optionalText = (maxLength: number) =>
  Type.Optional(Type.Unsafe<string | null>({ type: ['string', 'null'], maxLength }))

const Amount = Type.Unsafe<string | number>({
  type: ['string', 'number'],
  description: 'an amount with at most two decimals, as a string ("12.50") or a number (12.5)',
})

const NewItem = Type.Object(
  {
    productId: ProductId,
    productName: optionalText(500),
    quantity: Type.Integer({ minimum: 1, maximum: MAX_QUANTITY }),
    unitPrice: Amount,
  },
  { additionalProperties: false },
)

const NewAddress = Type.Unsafe<{
  street?: string | null
  city?: string | null
  state?: string | null
  postalCode?: string | null
  country?: string | null
} | null>({
  type: ['object', 'null'],
  additionalProperties: false,
  properties: {
    street: optionalText(500),
    city: optionalText(200),
    state: optionalText(200),
    postalCode: optionalText(40),
    country: optionalText(200),
  },
})

export const NewOrderBody = Type.Object(
  {
    customerId: Uuid,
    items: Type.Array(NewItem, { minItems: 1, maxItems: MAX_ITEMS }),
    address: Type.Optional(NewAddress),
    deliveryInstructions: optionalText(2_000),
    phoneNumber: optionalText(50),
  },
  { additionalProperties: false },
)
export type NewOrderBody = Static<typeof NewOrderBody>

export const CreateHeaders = Type.Object({
  'idempotency-key': Type.Optional(
    Type.String({
      pattern: '^[\\x21-\\x7e]{1,255}$',
      description: 'a key of 1 to 255 visible ASCII characters',
    }),
  ),
})

/** Which texts are statuses is checked by the handler: an unknown one has a problem type of its own. */
export const StatusBody = Type.Object(
  { status: Type.String({ description: `one of ${ORDER_STATES.join(', ')}` }) },
  { additionalProperties: false },
)

export const CancelQuery = Type.Object({ reason: Type.Optional(Type.String({ maxLength: 500 })) })

export const CustomerParams = Type.Object({ customerId: Uuid })

// From here on: documentation of answers. SQL may write what it likes, so nearly everything may be null.
const TextOrNull = Type.Unsafe<string | null>({ type: ['string', 'null'] })

const Item = Type.Object({
  id: Uuid,
  productId: TextOrNull,
  productName: TextOrNull,
  quantity: Type.Unsafe<number | null>({ type: ['integer', 'null'] }),
  unitPrice: TextOrNull,
  totalPrice: TextOrNull,
})

const Address = Type.Object({
  street: TextOrNull,
  city: TextOrNull,
  state: TextOrNull,
  postalCode: TextOrNull,
  country: TextOrNull,
})

export const Order = Type.Object({
  id: Uuid,
  customerId: TextOrNull,
  status: Type.String(),
  totalAmount: TextOrNull,
  address: Type.Union([Address, Type.Null()]),
  deliveryInstructions: TextOrNull,
  createdAt: Type.String(),
  updatedAt: Type.String(),
  version: Type.Integer(),
  items: Type.Array(Item),
})

export const OrderStatus = Type.Object({ status: Type.String(), updatedAt: Type.String() })

export const CustomerOrders = Type.Object({
  orders: Type.Array(
    Type.Object({
      id: Uuid,
      status: Type.String(),
      totalAmount: TextOrNull,
      createdAt: Type.String(),
      updatedAt: Type.String(),
    }),
  ),
})
