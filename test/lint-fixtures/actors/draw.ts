export function draw(random: () => number): boolean {
  return random() < 0.5;
}
