import type { Plugin } from 'vite'

// VitePress's search box calls itself a button, and has links within options: a screen reader makes little of it.
const replacements: [from: string, to: string][] = [
  ['role="button"', 'role="dialog"'],
  [`:aria-owns="results?.length ? 'localsearch-list' : undefined"`, 'aria-modal="true"'],
  ['aria-expanded="true"\n', '\n'],
  ['aria-haspopup="listbox"\n', '\n'],
  ['aria-labelledby="localsearch-label"\n      class="VPLocalSearchBox"', ':aria-label="buttonText"\n      class="VPLocalSearchBox"'],
  [`:id="'localsearch-item-' + index"\n`, '\n'],
  [`:aria-selected="selectedIndex === index ? 'true' : 'false'"\n`, '\n'],
  ['role="option"', 'role="presentation"'],
  [`:aria-label="[...p.titles, p.title].join(' > ')"`, `:id="'localsearch-item-' + index" role="option" :aria-selected="selectedIndex === index ? 'true' : 'false'"`],
  [`<kbd :aria-label="translate('modal.footer.navigateUpKeyAriaLabel')"`, `<kbd role="img" :aria-label="translate('modal.footer.navigateUpKeyAriaLabel')"`],
  [`<kbd :aria-label="translate('modal.footer.navigateDownKeyAriaLabel')"`, `<kbd role="img" :aria-label="translate('modal.footer.navigateDownKeyAriaLabel')"`],
  [`<kbd :aria-label="translate('modal.footer.selectKeyAriaLabel')"`, `<kbd role="img" :aria-label="translate('modal.footer.selectKeyAriaLabel')"`],
  [`<kbd :aria-label="translate('modal.footer.closeKeyAriaLabel')"`, '<kbd'],
  ['<span class="title-icon">#</span>', '<span class="title-icon" aria-hidden="true">#</span>'],
]

// accessibleSearch mends that component. What it does not find there any more ends the build.
export function accessibleSearch(): Plugin {
  return {
    name: 'accessible-search',
    enforce: 'pre',
    transform(code, id) {
      if (!id.endsWith('/VPLocalSearchBox.vue')) {
        return
      }
      for (const [from, to] of replacements) {
        if (!code.includes(from)) {
          this.error(`the search box of VitePress has no ${from} any more`)
        }
        code = code.replace(from, to)
      }
      return code
    },
  }
}
