import type { ComponentChildren } from 'preact';
import { useEffect, useRef } from 'preact/hooks';
import { leftFirstPage } from '../nav/heading';
import { ThemeToggle } from '../theme/ThemeToggle';
import { Logo } from '../ui/Logo';

/** The page of who is not signed in: one card with one task. */
export function EntryCard({ title, children }: { title: string; children: ComponentChildren }) {
  const heading = useRef<HTMLHeadingElement>(null);
  const isFirst = useRef(true);
  useEffect(leftFirstPage, []);
  useEffect(() => {
    document.title = `${title} · Waypost`;
    // A form that comes first focuses its own field; a task that follows is announced by its heading.
    if (!isFirst.current) heading.current?.focus();
    isFirst.current = false;
  }, [title]);
  return (
    <div class="entry-page">
      <div class="entry-corner">
        <ThemeToggle />
      </div>
      <main class="entry-card">
        <div class="entry-brand">
          <Logo size={36} />
          <span>Waypost</span>
        </div>
        <h1 ref={heading} tabIndex={-1}>
          {title}
        </h1>
        {children}
      </main>
    </div>
  );
}
