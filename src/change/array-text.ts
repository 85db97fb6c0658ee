type ArrayParts = (string | null | ArrayParts)[]

/**
 * PostgreSQL's text form of an array, `{1,NULL,"a \"b\""}`, nested for more dimensions. Lower bounds (`[2:3]={...}`)
 * are dropped. https://www.postgresql.org/docs/current/arrays.html#ARRAYS-IO
 *
 * `delimiter` is `;` for the one type `box`, whose texts have commas (pg_type.typdelim).
 *
 * @throws SyntaxError if the text is not such a form
 */
export function parseArrayText(text: string, delimiter: ',' | ';' = ','): ArrayParts {
  const start = text.startsWith('[') ? text.indexOf('=') + 1 : 0
  let at = start

  const fail = (): never => {
    throw new SyntaxError(`not an array's text form, at character ${at}`)
  }

  function readQuoted(): string {
    let value = ''
    at++
    for (;;) {
      const character = text[at]
      if (character === undefined) return fail()
      if (character === '"') {
        at++
        return value
      }
      if (character === '\\') at++
      value += text[at] ?? fail()
      at++
    }
  }

  function readBare(): string | null {
    const from = at
    while (at < text.length && text[at] !== delimiter && text[at] !== '}') {
      if (text[at] === '\\') at++
      at++
    }
    const word = text.slice(from, at)
    // PostgreSQL quotes an empty string.
    if (word === '') fail()
    return word.toUpperCase() === 'NULL' ? null : word.replaceAll(/\\(.)/g, '$1')
  }

  function readArray(): ArrayParts {
    if (text[at] !== '{') fail()
    at++
    const parts: ArrayParts = []
    if (text[at] === '}') {
      at++
      return parts
    }
    for (;;) {
      if (text[at] === '{') parts.push(readArray())
      else if (text[at] === '"') parts.push(readQuoted())
      else parts.push(readBare())
      if (text[at] === '}') {
        at++
        return parts
      }
      if (text[at] !== delimiter) fail()
      at++
    }
  }

  const parts = readArray()
  if (at !== text.length) fail()
  return parts
}
