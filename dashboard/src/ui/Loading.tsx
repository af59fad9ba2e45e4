export function Lines({ count }: { count: number }) {
  return (
    <div class="skeleton-lines" role="status" aria-label="Loading">
      {Array.from({ length: count }, (_, index) => (
        <span class="skeleton" key={index} />
      ))}
    </div>
  );
}

export function Failed({ detail, onRetry }: { detail: string; onRetry: () => void }) {
  return (
    <p class="failed" role="alert">
      <span>{detail}</span>
      <button type="button" class="button small" onClick={onRetry}>
        Try again
      </button>
    </p>
  );
}
