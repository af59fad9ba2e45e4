let isPressed = false;

addEventListener('pointerdown', () => (isPressed = true), true);
for (const over of ['pointerup', 'pointercancel']) addEventListener(over, () => (isPressed = false), true);

/**
 * Do what moves things in the page: at once, or when the button that is being pressed has had its click.
 *
 * A list that closes between the press and the release lets what is under the pointer slip away, and the click with it.
 */
export function afterPress(work: () => void): void {
  if (!isPressed) return work();
  const done = new AbortController();
  for (const over of ['pointerup', 'pointercancel'])
    addEventListener(over, () => (done.abort(), setTimeout(work)), { signal: done.signal });
}
