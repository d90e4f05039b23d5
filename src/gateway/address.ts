/**
 * Where a request comes from, as far as limits look: an IPv4 address, also when it comes as IPv6, or the /64 that an IPv6 address is
 * in. Whoever has one address of a /64 usually has all of them.
 */
export function networkOf(address: string | undefined): string {
  const [text = ''] = (address ?? '').toLowerCase().split('%');
  if (!text.includes(':')) return text === '' ? 'nowhere' : text;
  const groups = groupsOf(text);
  const [sixth = 0, seventh = 0, eighth = 0] = groups.slice(5);
  if (sixth === 0xffff && groups.slice(0, 5).every((group) => group === 0))
    return [seventh >> 8, seventh & 255, eighth >> 8, eighth & 255].join('.');
  const network = groups.slice(0, 4).map((group) => group.toString(16));
  return `${network.join(':')}::/64`;
}

/** The eight groups of an IPv6 address, however it is written. */
function groupsOf(text: string): number[] {
  const [head = '', tail] = text.split('::');
  const first = partsOf(head);
  const last = partsOf(tail ?? '');
  const gap = Math.max(0, 8 - first.length - last.length);
  return [...first, ...Array.from({ length: gap }, () => 0), ...last];
}

function partsOf(text: string): number[] {
  if (text === '') return [];
  return text.split(':').flatMap((part) => {
    if (!part.includes('.')) return [Number.parseInt(part, 16)];
    const [a = 0, b = 0, c = 0, d = 0] = part.split('.').map(Number);
    return [a * 256 + b, c * 256 + d];
  });
}
