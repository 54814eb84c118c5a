/*
 * Where the simulated regions are. Ekko's paper gives its test bed's bandwidths; delays are ours: the great circle between the cities,
 * light in glass at 200,000 km/s, and cables half as long again as the circle. Oregon to Frankfurt is 64 ms one way then; published
 * round trips between clouds' regions there are about 140 ms.
 */

export interface Place {
  readonly region: string;
  readonly latitude: number;
  readonly longitude: number;
}

/** The first trains. The link from it to the second is the slow one. */
export const PLACES: readonly Place[] = [
  { region: "oregon", latitude: 45.8, longitude: -119.7 },
  { region: "frankfurt", latitude: 50.1, longitude: 8.7 },
  { region: "singapore", latitude: 1.4, longitude: 103.8 },
  { region: "virginia", latitude: 38.9, longitude: -77.5 },
  { region: "tokyo", latitude: 35.7, longitude: 139.7 },
  { region: "sao-paulo", latitude: -23.5, longitude: -46.6 },
  { region: "mumbai", latitude: 19.1, longitude: 72.9 },
  { region: "sydney", latitude: -33.9, longitude: 151.2 },
  { region: "london", latitude: 51.5, longitude: -0.1 },
  { region: "cape-town", latitude: -33.9, longitude: 18.4 },
];

const EARTH_KM = 6_371;
const LIGHT_KM_PER_MS = 200;
const DETOUR = 1.5;
/** Between two machines of one region. */
const WITHIN_MS = 0.1;

/** One way between two places, milliseconds. */
export function delayMsBetween(a: Place, b: Place): number {
  if (a.region === b.region) return WITHIN_MS;
  return (DETOUR * EARTH_KM * angleBetween(a, b)) / LIGHT_KM_PER_MS;
}

function angleBetween(a: Place, b: Place): number {
  const [latitudeA, latitudeB] = [radians(a.latitude), radians(b.latitude)];
  const haversine =
    Math.sin((latitudeB - latitudeA) / 2) ** 2 +
    Math.cos(latitudeA) * Math.cos(latitudeB) * Math.sin(radians(b.longitude - a.longitude) / 2) ** 2;
  return 2 * Math.asin(Math.sqrt(haversine));
}

function radians(degrees: number): number {
  return (degrees * Math.PI) / 180;
}
