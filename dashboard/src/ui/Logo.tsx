/** The mark: a post with its flag, the way on. The same drawing as favicon.svg. */
export function Logo({ size = 28 }: { size?: number }) {
  return (
    <svg class="logo" width={size} height={size} viewBox="0 0 32 32" aria-hidden="true">
      <rect class="logo-ground" width="32" height="32" rx="8" />
      <path class="logo-post" d="M9 7v19" stroke-width="2.6" stroke-linecap="round" />
      <path class="logo-flag" d="M9 8.2h12.2l4.3 4-4.3 4H9z" />
      <circle class="logo-foot" cx="9" cy="26" r="2.4" />
    </svg>
  );
}
