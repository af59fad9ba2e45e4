import type { Map as MapLibreMap } from 'maplibre-gl';
import type { Row, VehicleState } from '../fleet/vehicle';
import type { Palette } from './palette';

const SIZE_PX = 30;
const PIXEL_RATIO = 2;

/** `roaming` moves in a direction that we do not know: an arrow would claim one. */
type Marker = VehicleState | 'roaming';

export function markerOf(row: Row): Marker {
  return row.state === 'moving' && row.headingDeg === undefined ? 'roaming' : row.state;
}

/** Draw the markers: an arrow, a dot, a square, a hollow ring. Called again when the theme changes. */
export function putMarkers(map: MapLibreMap, palette: Palette): void {
  for (const marker of Object.keys(SHAPES) as Marker[]) {
    const image = draw(marker, palette);
    if (map.hasImage(marker)) map.updateImage(marker, image);
    else map.addImage(marker, image, { pixelRatio: PIXEL_RATIO });
  }
}

function draw(marker: Marker, palette: Palette): ImageData {
  const pixels = SIZE_PX * PIXEL_RATIO;
  const canvas = document.createElement('canvas');
  canvas.width = canvas.height = pixels;
  const pen = canvas.getContext('2d');
  if (!pen) return new ImageData(pixels, pixels);
  pen.scale(PIXEL_RATIO, PIXEL_RATIO);
  pen.translate(SIZE_PX / 2, SIZE_PX / 2);
  pen.lineJoin = 'round';
  pen.shadowColor = 'rgb(10 20 40 / 35%)';
  pen.shadowBlur = 4;
  pen.shadowOffsetY = 1;
  SHAPES[marker](pen, palette);
  return pen.getImageData(0, 0, pixels, pixels);
}

const SHAPES: Record<Marker, (pen: CanvasRenderingContext2D, palette: Palette) => void> = {
  moving(pen, palette) {
    const arrow = new Path2D('M0 -10.5 L7.6 9 L0 5.2 L-7.6 9 Z');
    paint(pen, arrow, palette.moving, palette.outline);
  },
  roaming(pen, palette) {
    const dot = new Path2D();
    dot.arc(0, 0, 6.4, 0, 2 * Math.PI);
    paint(pen, dot, palette.moving, palette.outline);
  },
  stopped(pen, palette) {
    const square = new Path2D();
    square.roundRect(-6, -6, 12, 12, 3);
    paint(pen, square, palette.stopped, palette.outline);
  },
  silent(pen, palette) {
    const ring = new Path2D();
    ring.arc(0, 0, 6, 0, 2 * Math.PI);
    paint(pen, ring, palette.outline, palette.outline);
    pen.shadowColor = 'transparent';
    pen.lineWidth = 2.4;
    pen.strokeStyle = palette.silent;
    pen.stroke(ring);
  },
};

function paint(pen: CanvasRenderingContext2D, path: Path2D, fill: string, outline: string): void {
  pen.lineWidth = 3.6;
  pen.strokeStyle = outline;
  pen.stroke(path);
  pen.shadowColor = 'transparent';
  pen.fillStyle = fill;
  pen.fill(path);
}
