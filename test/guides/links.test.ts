import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { test } from 'node:test'

import { ROOT } from './page.ts'

const LEFT_OUT = new Set(['node_modules', '.git', '.trackops'])

test('every relative link of every page leads somewhere, headings included', () => {
  const broken: string[] = []
  const pages = pagesBelow(ROOT)
  assert.ok(pages.length > 3)
  for (const page of pages) {
    for (const { target, line } of linksOf(readFileSync(page, 'utf8'))) {
      const [path = '', heading] = target.split('#', 2)
      const file = path === '' ? page : resolve(dirname(page), decodeURIComponent(path))
      const isThere = existsSync(file) && (heading === undefined || headingsOf(file).has(heading))
      if (!isThere) broken.push(`${relative(ROOT, page)}:${line} ${target}`)
    }
  }
  assert.deepEqual(broken, [])
})

test('a link that leads nowhere is seen, and one in a code block is none', () => {
  const page = 'a [b](c.md#d)\n\n```\n[x](y.md)\n```\n[e](https://f.example) `[g](h.md)`\n'
  assert.deepEqual(linksOf(page), [{ target: 'c.md#d', line: 1 }])
})

function pagesBelow(folder: string): readonly string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    if (LEFT_OUT.has(entry.name)) return []
    const path = join(folder, entry.name)
    return entry.isDirectory() ? pagesBelow(path) : entry.name.endsWith('.md') ? [path] : []
  })
}

function linksOf(page: string): readonly { readonly target: string; readonly line: number }[] {
  return textLines(page).flatMap(({ text, line }) =>
    Array.from(text.replaceAll(/`[^`]*`(?!\]\()/g, '').matchAll(/\]\(([^()\s]+)\)/g), ([, target = '']) => ({
      target,
      line,
    })).filter(({ target }) => !/^[a-z]+:/.test(target)),
  )
}

/** As GitHub names them. */
function headingsOf(file: string): ReadonlySet<string> {
  if (statSync(file).isDirectory()) return new Set()
  return new Set(
    textLines(readFileSync(file, 'utf8'))
      .filter(({ text }) => /^#+ /.test(text))
      .map(({ text }) =>
        text
          .replace(/^#+ /, '')
          .trim()
          .toLowerCase()
          .replaceAll(/[^\p{L}\p{N} _-]/gu, '')
          .replaceAll(' ', '-'),
      ),
  )
}

/** Without code blocks. */
function textLines(page: string): readonly { readonly text: string; readonly line: number }[] {
  let isCode = false
  return page.split('\n').flatMap((text, index) => {
    if (text.startsWith('```')) {
      isCode = !isCode
      return []
    }
    return isCode || text.startsWith('    ') ? [] : [{ text, line: index + 1 }]
  })
}
