"""Many slow senders: each sends one byte a second of a write request, and reconnects when it is disconnected.

Usage: slow_senders.py HOST PORT COUNT; prints `open` once all have connected, and runs until it is stopped.
"""

import asyncio
import sys

import frames
import wire

PAUSE = 1.0
AT_ONCE = 100


async def slow_sender(host, port, request, opened):
    """One of them, forever."""
    while True:
        try:
            _reader, writer = await asyncio.open_connection(host, port)
            opened.release()
            for byte in request:
                writer.write(bytes([byte]))
                await writer.drain()
                await asyncio.sleep(PAUSE)
        except OSError:
            await asyncio.sleep(PAUSE)


async def main():
    host, port, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    request = wire.with_length(frames.one_sample())
    opened = asyncio.Semaphore(0)
    senders = []
    for number in range(count):
        senders.append(asyncio.create_task(slow_sender(host, port, request, opened)))
        if number % AT_ONCE == 0:
            await asyncio.sleep(PAUSE / 10)
    for _sender in range(count):
        await opened.acquire()
    print("open", flush=True)
    await asyncio.gather(*senders)


asyncio.run(main())
