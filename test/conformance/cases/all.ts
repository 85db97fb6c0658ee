import type { Case } from '../case.ts'
import { CHANGES_CASE } from './changes.ts'
import { DEFAULTS_CASE } from './defaults.ts'
import { FILTERS_CASE } from './filters.ts'
import { KEYS_CASE } from './keys.ts'
import { NAMES_CASE } from './names.ts'
import { SCHEMA_CHANGES_CASE } from './schema-changes.ts'
import { TOAST_CASE } from './toast.ts'
import { TYPES_CASE } from './types.ts'

/** In this order: the first makes the types that the others use. */
export const CASES: readonly Case[] = [
  TYPES_CASE,
  KEYS_CASE,
  DEFAULTS_CASE,
  TOAST_CASE,
  CHANGES_CASE,
  SCHEMA_CHANGES_CASE,
  NAMES_CASE,
  FILTERS_CASE,
]
