import { now } from '../ui/clock';
import { count, UNKNOWN } from '../ui/format';
import type { QualityDay } from './quality';
import { clockWords, dayWords, flagWords, percent, plural, reasonWords, span } from './words';

/** By day, newest first; days of which nothing came are left out. */
export function DayTable({ days }: { days: readonly QualityDay[] }) {
  const busy = days.filter(({ batches, gaps, battery }) => batches > 0 || gaps > 0 || battery != null);
  if (busy.length === 0)
    return (
      <p class="muted" data-testid="no-days">
        Nothing has come from this phone in the last {plural(days.length, 'day')}.
      </p>
    );
  return (
    <table class="table" role="table" data-testid="day-table">
      <caption class="visually-hidden">What came, by day</caption>
      <thead role="rowgroup">
        <tr role="row">
          <th role="columnheader">Day</th>
          <th role="columnheader">Locations</th>
          <th role="columnheader">Doubted</th>
          <th role="columnheader">Refused</th>
          <th role="columnheader">Gaps</th>
          <th role="columnheader">Delay</th>
          <th role="columnheader">Accuracy</th>
          <th role="columnheader">Battery</th>
          <th role="columnheader">Clock</th>
        </tr>
      </thead>
      <tbody role="rowgroup">
        {busy.map((day) => (
          <DayRow key={day.day} day={day} />
        ))}
      </tbody>
    </table>
  );
}

function DayRow({ day }: { day: QualityDay }) {
  return (
    <tr role="row" data-testid="day-row">
      <th role="rowheader" scope="row" class="short">
        {dayWords(day.day, now.value)}
      </th>
      <td role="cell" data-label="Locations">
        <Line>{count(day.accepted)}</Line>
        {day.duplicates > 0 && <Line>{plural(day.duplicates, 'duplicate')}</Line>}
        {day.late > 0 && <Line>{count(day.late)} late</Line>}
      </td>
      <td role="cell" data-label="Doubted">
        <Counts total={day.flagged} by={day.flags} words={flagWords} />
      </td>
      <td role="cell" data-label="Refused">
        <Counts total={day.rejected} by={day.reasons} words={reasonWords} />
      </td>
      <td role="cell" data-label="Gaps">
        <Line>{count(day.gaps)}</Line>
        {day.gaps > 0 && <Line>{`longest ${span(day.longestGap)}`}</Line>}
      </td>
      <td role="cell" data-label="Delay">
        <Line>{day.meanDelay == null ? UNKNOWN : span(day.meanDelay)}</Line>
        {day.longestDelay >= 60 && <Line>{`longest ${span(day.longestDelay)}`}</Line>}
      </td>
      <td role="cell" data-label="Accuracy" class="short">
        {day.meanAccuracy == null ? UNKNOWN : `${Math.round(day.meanAccuracy)} m`}
      </td>
      <td role="cell" data-label="Battery">
        <Line>{day.battery == null ? UNKNOWN : percent(day.battery)}</Line>
        {day.lowestBattery != null && day.lowestBattery !== day.battery && (
          <Line>{`lowest ${percent(day.lowestBattery)}`}</Line>
        )}
      </td>
      <td role="cell" data-label="Clock">
        {day.clockOffset == null ? UNKNOWN : clockWords(day.clockOffset)}
      </td>
    </tr>
  );
}

interface CountsProps {
  total: number;
  by: Record<string, number>;
  words: (name: string) => string;
}

function Counts({ total, by, words }: CountsProps) {
  const most = Object.entries(by).sort(([, a], [, b]) => b - a);
  return (
    <>
      <Line>{count(total)}</Line>
      {most.map(([name, value]) => (
        <Line key={name}>{most.length === 1 ? words(name) : `${count(value)} ${words(name)}`}</Line>
      ))}
    </>
  );
}

function Line({ children }: { children: preact.ComponentChildren }) {
  return <span class="line">{children}</span>;
}
