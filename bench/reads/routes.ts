export const CACHE_PATH = '/api/orders'
export const STATIC_PATH = '/constant'
export const DATABASE_PATH = '/database/orders'
