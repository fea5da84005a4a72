/**
 * A Stryker plugin that leaves text for people alone: a changed word of a message breaks no check. Text without a blank
 * between words is a name of the protocol, and stays.
 */
const isProse = (text) => /\S\s+\S/.test(text)

export const strykerPlugins = [
  {
    kind: 'Ignore',
    name: 'prose',
    value: {
      shouldIgnore({ node }) {
        const text =
          node.type === 'StringLiteral'
            ? node.value
            : node.type === 'TemplateLiteral'
              ? node.quasis.map((part) => part.value.raw).join('x')
              : ''
        return isProse(text) ? 'text for people' : undefined
      },
    },
  },
]
