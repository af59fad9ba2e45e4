/**
 * World-atlas joins polygons across the 180th meridian, as a globe wants them; on a flat map their edges would run back
 * across the whole world. Here a ring goes on past 180 degrees instead, which MapLibre draws on both sides.
 */
type Ring = GeoJSON.Position[];

export function unwrapPolygons(polygons: Ring[][]): Ring[][] {
  return polygons.map((rings) => rings.map((ring) => closeOverPole(unwrapLine(ring))));
}

/** No step of more than half a turn: the longitude goes on beyond 180 degrees where it would jump. */
export function unwrapLine(line: Ring): Ring {
  let turns = 0;
  let previous = line[0]?.[0] ?? 0;
  return line.map(([longitude = 0, latitude = 0]) => {
    if (longitude - previous > 180) turns -= 360;
    else if (longitude - previous < -180) turns += 360;
    previous = longitude;
    return [longitude + turns, latitude];
  });
}

/** A ring that goes once round the globe (Antarctica) is closed along the map's edge. */
function closeOverPole(ring: Ring): Ring {
  const [first, last] = [ring[0], ring.at(-1)];
  if (!first || !last || Math.abs((last[0] ?? 0) - (first[0] ?? 0)) < 180) return ring;
  const edge = (first[1] ?? 0) < 0 ? -90 : 90;
  return [...ring, [last[0] ?? 0, edge], [first[0] ?? 0, edge], first];
}
