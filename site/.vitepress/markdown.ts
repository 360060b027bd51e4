// What the site reads in the pages in another way than VitePress does by itself. All of it is how the forge shows the same pages.
import fs from 'node:fs'
import path from 'node:path'
import type MarkdownIt from 'markdown-it'

// slugify makes the anchor of a heading by the forge's rule, so that a link works here and there.
export function slugify(heading: string): string {
  return heading.trim().toLowerCase().replace(/[^\p{L}\p{M}\p{N}\p{Pc}\- ]/gu, '').replaceAll(' ', '-')
}

// addRepositoryLinks has links that leave docs/ lead to the repository, and links to the index to the home page.
// A link to a file that does not exist ends the build, as VitePress does it for pages. Pages are in docs/ itself, in no folder below it.
export function addRepositoryLinks(md: MarkdownIt, root: string, repository: string) {
  const docs = path.join(root, 'docs')
  const target = (href: string, page: string): string => {
    if (/^([a-z]+:|#|\/\/)/i.test(href)) {
      return href
    }
    const [, file, anchor] = /^([^#]*)(#.*)?$/.exec(href)
    const full = path.resolve(docs, decodeURI(file))
    if (!fs.existsSync(full)) {
      throw new Error(`docs/${page} links to ${href}, which does not exist`)
    }
    const inDocs = path.relative(docs, full)
    if (inDocs === 'README.md') {
      return './index.md' + (anchor ?? '')
    }
    if (!inDocs.startsWith('..')) {
      return href
    }
    const kind = fs.statSync(full).isDirectory() ? 'tree' : 'blob'
    return `${repository}/${kind}/main/${path.relative(root, full).split(path.sep).join('/')}${anchor ?? ''}`
  }
  md.core.ruler.push('repository-links', (state) => {
    const page = path.basename(state.env.realPath ?? state.env.relativePath)
    for (const block of state.tokens) {
      for (const token of block.children ?? []) {
        if (token.type === 'link_open') {
          token.attrSet('href', target(token.attrGet('href'), page))
        }
      }
    }
  })
}

// addMermaid turns fences of Mermaid into the component that draws them. The text of the diagram stays in the page for readers without JavaScript.
export function addMermaid(md: MarkdownIt) {
  const others = md.renderer.rules.fence
  md.renderer.rules.fence = (tokens, index, options, env, self) => {
    const token = tokens[index]
    if (token.info.trim() !== 'mermaid') {
      return others(tokens, index, options, env, self)
    }
    const before = tokens.slice(0, index).findLastIndex((each) => each.type === 'heading_open')
    const heading = before < 0 ? 'this page' : tokens[before + 1].content.replace(/[`*_]/g, '')
    return `<Mermaid code="${encodeURIComponent(token.content)}" label="${md.utils.escapeHtml(heading)}" />\n`
  }
}

// addIndentedCode has blocks that are indented look as fenced ones do.
export function addIndentedCode(md: MarkdownIt) {
  md.renderer.rules.code_block = (tokens, index, options, env, self) => {
    tokens[index].info = 'text'
    return md.renderer.rules.fence(tokens, index, options, env, self)
  }
}

type Entry = { text: string; link?: string; items?: Entry[] }

// navigation reads the lists of the index: a section for each heading of the second level, a group in it for each of the third,
// and an entry for each item that begins with a link to a page.
export function navigation(index: string): Entry[] {
  const sections: Entry[] = []
  let entries: Entry[] = []
  for (const line of index.split('\n')) {
    const heading = /^(##|###) (.+)/.exec(line)
    const page = /^- \[([^\]]+)\]\(([\w.-]+)\.md\)/.exec(line)
    if (heading) {
      const into = heading[1] === '##' ? sections : sections.at(-1).items
      entries = []
      into.push({ text: heading[2], items: entries })
    } else if (page) {
      entries.push({ text: page[1], link: '/' + page[2] })
    }
  }
  return sections
}
