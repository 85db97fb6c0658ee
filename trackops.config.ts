import { defaultStockOf, inventoryService } from './app/inventory-service/inventory-service.ts'
import { load } from './app/load/load.ts'
import { orderEvents } from './app/order-events.ts'
import { orderService } from './app/order-service/order-service.ts'
import { seedOrders } from './app/seed.ts'
import { views } from './app/views.ts'
import { defineConfig } from './src/index.ts'

/** The order system as TrackOps sees it: where its changes come from, what is kept in Redis, what is announced, what runs. */
export default defineConfig({
  source: {
    urlVariable: 'DATABASE_URL',
    embeddedName: 'trackops_orders',
    migrations: 'app/migrations/orders',
    slot: 'trackops_orders',
    publication: 'trackops_orders_pub',
  },
  databases: {
    inventory: {
      urlVariable: 'INVENTORY_DATABASE_URL',
      embeddedName: 'trackops_inventory',
      migrations: 'app/migrations/inventory',
    },
  },
  views,
  events: [orderEvents],
  services: [
    orderService,
    // Pieces of a product that nobody stocked; 1,000,000 where it is not set.
    inventoryService({ defaultStock: defaultStockOf(process.env.TRACKOPS_DEFAULT_STOCK) }),
  ],
  load,
  seed: seedOrders,
})
