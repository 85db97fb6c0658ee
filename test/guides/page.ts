/** Reads the code blocks of a page, so that a test can do what the page says. */
import { readFileSync } from 'node:fs'

export interface Block {
  /** `ts`, `sql`, `console`, ... */
  readonly language: string
  /** What stands behind the language: `file=views.ts` is { file: 'views.ts' }, `run` is { run: '' }. */
  readonly attributes: Readonly<Record<string, string>>
  readonly text: string
  /** In the page, for messages. */
  readonly line: number
}

/** A command of a `console` block and the lines that the page shows below it. */
export interface Step {
  readonly command: string
  readonly expected: readonly string[]
  readonly line: number
}

export const ROOT = new URL('../../', import.meta.url).pathname

export function readPage(path: string): string {
  return readFileSync(new URL(path, `file://${ROOT}`), 'utf8')
}

export function blocksOf(page: string): readonly Block[] {
  const blocks: Block[] = []
  let open: { language: string; attributes: Record<string, string>; lines: string[]; line: number } | undefined
  for (const [index, line] of page.split('\n').entries()) {
    const fence = /^```(\S*)\s*(.*)$/.exec(line)
    if (!fence) open?.lines.push(line)
    else if (open) {
      const { lines, ...rest } = open
      blocks.push({ ...rest, text: `${lines.join('\n')}\n` })
      open = undefined
    } else {
      open = { language: fence[1] ?? '', attributes: attributesOf(fence[2] ?? ''), lines: [], line: index + 1 }
    }
  }
  return blocks
}

export function stepsOf(block: Block): readonly Step[] {
  const steps: { command: string; expected: string[]; line: number }[] = []
  for (const [index, line] of block.text.trimEnd().split('\n').entries()) {
    if (line.startsWith('$ ')) steps.push({ command: line.slice(2), expected: [], line: block.line + index + 1 })
    else steps.at(-1)?.expected.push(line)
  }
  return steps
}

/**
 * Whether the output is what the page shows. `…` within a line stands for anything in that line; a line that is nothing else
 * stands for any number of lines. Empty lines and the spaces at the ends of lines do not count.
 */
export function isAsShown(expected: readonly string[], output: string): boolean {
  const pattern = expected
    .filter((line) => line.trim() !== '')
    .map((line) =>
      line.trim() === '…' ? '(?:[^\n]*\n)*?' : `${line.trimEnd().split('…').map(escape).join('[^\n]*')}\n`,
    )
    .join('')
  const lines = output
    .split('\n')
    .map((line) => line.trimEnd())
    .filter((line) => line !== '')
  return new RegExp(`^${pattern}$`).test(lines.map((line) => `${line}\n`).join(''))
}

function attributesOf(text: string): Record<string, string> {
  const pairs = text
    .split(/\s+/)
    .filter(Boolean)
    .map((word): [string, string] => {
      const [name = '', value = ''] = word.split('=', 2)
      return [name, value]
    })
  return Object.fromEntries(pairs)
}

function escape(text: string): string {
  return RegExp.escape(text)
}
