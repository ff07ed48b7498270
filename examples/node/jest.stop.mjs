export default async function stop() {
  await globalThis.atoll.stop();
}
