import type { Maybe } from '../api/types';
import { UNKNOWN } from '../ui/format';

/** How somebody is reached, each on its line. */
export function Contact({ of }: { of: { phone?: Maybe<string>; email?: Maybe<string> } }) {
  const lines = [of.phone, of.email].filter(Boolean);
  if (lines.length === 0) return <>{UNKNOWN}</>;
  return (
    <>
      {lines.map((line) => (
        <span class="line" key={line}>
          {line}
        </span>
      ))}
    </>
  );
}
