import type { GetResourceResponse, RequestParameters } from 'maplibre-gl';
import { renew } from '../session/session';
import { session } from '../session/store';

/** MapLibre asks for `streets://z/x/y`, and we ask the server: no token gets into a style or a worker. */
export const STREETS_SCHEME = 'streets';
export const STREETS_TILES = `${STREETS_SCHEME}://{z}/{x}/{y}`;

/** What was driven lately is on the map without loading the page again. */
const FRESH_MS = 10 * 60_000;

export async function loadStreets(
  { url }: Pick<RequestParameters, 'url'>,
  { signal }: AbortController,
): Promise<GetResourceResponse<ArrayBuffer>> {
  const path = `/api/v1/tracking/streets/${url.slice(STREETS_SCHEME.length + 3)}`;
  const token = session.value?.accessToken;
  let response = await ask(path, token, signal);
  if (response.status === 401 && (await renew(token)) === 'renewed')
    response = await ask(path, session.value?.accessToken, signal);
  if (!response.ok) throw new Error(`The streets' tile answered ${response.status}`);
  return { data: await response.arrayBuffer(), expires: new Date(Date.now() + FRESH_MS) };
}

function ask(path: string, token: string | undefined, signal: AbortSignal): Promise<Response> {
  // The browser may keep a tile, and asks each time whether it is still so.
  return fetch(path, { headers: { Authorization: `Bearer ${token}` }, cache: 'no-cache', signal });
}
