"""Draw who may read whom, and ask what depends on what.

python examples/draw_a_routing.py
"""

import zorro_keras as zk

layout = zk.TokenLayout({"audio": 4, "fusion": 2, "video": 6})

print("Zorro: each modality reads itself, fusion reads everything.\n")
zorro = zk.Routing.zorro(["audio", "video"])
print(zorro.picture(layout))
print("\nIf `video` changes, these can change:", sorted(zorro.dependents("video")))
print("`audio` depends on:", sorted(zorro.dependencies("audio")))

print("\nBottleneck: modalities also read the fusion tokens, so each learns of the other.\n")
bottleneck = zk.Routing.bottleneck(["audio", "video"])
print(bottleneck.picture(layout))
print("\n`audio` depends on:", sorted(bottleneck.dependencies("audio")))

print("\nAny rule of your own: here video also reads audio, and audio promises to stay pure.\n")
mine = zk.Routing(
    {"audio": ["audio"], "video": ["video", "audio"], "fusion": ["audio", "video", "fusion"]},
    pure=["audio"],
)
print(mine.picture(layout))

print("\nA promise that a routing cannot keep is refused:\n")
try:
    zk.Routing({"audio": ["audio", "video"], "video": ["video"]}, pure=["audio"])
except ValueError as error:
    print(f"ValueError: {error}")
