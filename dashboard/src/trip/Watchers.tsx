import { initials, SHOWN, type Watcher } from './watching';

/** Who else has the trip open. Nothing, where nobody has. */
export function Watchers({ others }: { others: readonly Watcher[] }) {
  if (others.length === 0) return null;
  const names = others.map(({ name }) => name || 'Somebody');
  // The rest takes no more room than the one it would stand for.
  const shown = names.length > SHOWN + 1 ? names.slice(0, SHOWN) : names;
  const rest = names.slice(shown.length);
  return (
    <ul class="watchers" aria-label="Also watching" data-testid="watchers">
      {shown.map((name, at) => (
        <li key={others[at]?.userId} title={`${name} is watching too`}>
          <span aria-hidden="true">{initials(name)}</span>
          <span class="visually-hidden">{name}</span>
        </li>
      ))}
      {rest.length > 0 && (
        <li title={rest.join(', ')}>
          <span aria-hidden="true">+{rest.length}</span>
          <span class="visually-hidden">{rest.join(', ')}</span>
        </li>
      )}
    </ul>
  );
}
