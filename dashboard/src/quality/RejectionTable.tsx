import { now } from '../ui/clock';
import { when } from '../ui/format';
import { ListFrame } from '../ui/ListFrame';
import { usePaged } from '../ui/usePaged';
import { rejectionsPath, type RejectedRecord } from './quality';
import { plural, reasonWords } from './words';

/** The locations of a device that were refused, as they were sent. */
export function RejectionTable({ deviceId }: { deviceId: string }) {
  const list = usePaged<RejectedRecord>(rejectionsPath(deviceId), ({ id }) => id);
  return (
    <ListFrame
      list={list}
      empty={
        <p class="muted" data-testid="no-rejections">
          Nothing that this phone sent was refused.
        </p>
      }
    >
      <table class="table" role="table" data-testid="rejection-table">
        <caption class="visually-hidden">Refused locations</caption>
        <thead role="rowgroup">
          <tr role="row">
            <th role="columnheader">Received</th>
            <th role="columnheader">Reason</th>
            <th role="columnheader">App</th>
            <th role="columnheader">As it was sent</th>
          </tr>
        </thead>
        <tbody role="rowgroup">
          {list.rows.value.map((row) => (
            <tr role="row" key={row.id} data-testid="rejection-row">
              <th role="rowheader" scope="row" class="short">
                <time dateTime={row.receivedAt}>{when(row.receivedAt, now.value)}</time>
              </th>
              <td role="cell" data-label="Reason">
                <span class="line">{reasonWords(row.reason)}</span>
                <span class="line">{row.detail}</span>
                {row.more > 0 && <span class="line">and {plural(row.more, 'other')} in the same batch</span>}
              </td>
              <td role="cell" data-label="App" class="short">
                {row.source}
              </td>
              <td role="cell" data-label="As it was sent">
                {row.record ? (
                  <pre class="record" tabIndex={0} aria-label="Record as it was sent">
                    {row.record}
                  </pre>
                ) : (
                  <span class="muted">not kept</span>
                )}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </ListFrame>
  );
}
