import type { ComponentChildren } from 'preact';
import { useEffect } from 'preact/hooks';
import { PAGE_TITLES, type PageName } from './route';

const idOf = (page: PageName) => `heading-${page}`;

interface Props {
  page: PageName;
  hidden?: boolean;
  /** Instead of the page's title, for a page that is about one thing. */
  children?: ComponentChildren;
}

/** The one h1 of a page; who navigates gets there, so that a screen reader says where one is. */
export function PageHeading({ page, hidden = false, children }: Props) {
  return (
    <h1 id={idOf(page)} class={hidden ? 'visually-hidden' : 'page-title'} tabIndex={-1}>
      {children ?? PAGE_TITLES[page]}
    </h1>
  );
}

export function focusHeading(page: PageName): void {
  document.getElementById(idOf(page))?.focus();
}

let isFirstPage = true;

/** The title of `page` in the tab, and the focus on its heading unless the browser has only just opened it. */
export function useArrival(page: PageName): void {
  useEffect(() => {
    document.title = `${PAGE_TITLES[page]} · Waypost`;
    if (!isFirstPage) focusHeading(page);
    isFirstPage = false;
  }, [page]);
}

/** Whatever is shown next was reached from within: its heading gets the focus. */
export function leftFirstPage(): void {
  isFirstPage = false;
}

export function SkipLink({ page }: { page: PageName }) {
  return (
    <a
      class="skip-link"
      href={location.hash || '#/'}
      onClick={(event) => {
        event.preventDefault();
        focusHeading(page);
      }}
    >
      Skip to content
    </a>
  );
}
