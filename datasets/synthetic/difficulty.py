"""Difficulty of the synthetic dataset: all constants for tuning, in one place.

Lengths are in metres, angles in degrees, colours and image noise in [0, 1].
Ranges are (lowest, highest) of uniform draws. After a change, raise
`rendering.VERSION` to distinguish the result from older renderings.
"""

# Subjects: drawn once per subject.
SIZE_SPREAD = 0.12  # body height 1.7 m and girth, ±
SPEED_SPREAD = 0.25  # ±
AMPLITUDE = (0.85, 1.12)  # factor on every movement away from standing at rest
LEFT_HANDED = 0.3  # probability

# Performances: drawn once per action, subject and episode.
FACING_JITTER = 15.0  # ±
POSITION_JITTER = 0.15  # ±
PHASE_JITTER = 0.08  # ±, of the action's duration
TARGET_JITTER = 0.025  # standard deviation of every key pose, in body heights
SWAY = 0.008  # standard deviation of slow unintended movement, in body heights
FETCH_HEIGHT = (0.02, 0.30)  # height of the place of a picked or dropped object
LONG_SLEEVES = 0.6  # probability
CHAIR = 0.6  # probability of an unused chair in the room

# Colours. Small held objects are bright, coats have a hue of their own.
COAT_HUES = (-0.03, 0.09)  # red to orange
OBJECT_HUES = (0.14, 0.9)
CLOTHES_HUES = (0.13, 0.92)
ROOMS = 3  # number of different rooms; every subject is recorded in one of them
CAMOUFLAGE = 0.25  # probability that a shirt has the colour of the walls
TEXTURE_CONTRAST = (0.1, 0.4)  # contrast of clothes, furniture and handled objects
ROOM_CONTRAST = (0.05, 0.2)
ROOM_SATURATION = (0.0, 0.35)
ROOM_BRIGHTNESS = (0.35, 1.0)
POSTERS = (2, 5)  # number, both included
CLUTTER = (2, 5)

# Light and RGB camera: drawn once per video.
BRIGHTNESS = (0.75, 1.15)
TINT = 0.1  # ± per channel
AMBIENT = (0.4, 0.7)  # fraction of the light that has no direction
VIGNETTING = (0.1, 0.4)  # light lost in the image's corners
RGB_NOISE = (0.006, 0.02)  # standard deviation
RGB_BLUR = 0.55  # standard deviation in pixels

# Depth sensor.
DEPTH_RANGE = (0.5, 4.5)
DEPTH_QUANTUM = 2.85e-3  # step of inverse depth, 1/m: 2.85 mm at 1 m and 46 mm at 4 m, as in a Kinect
DEPTH_NOISE = 0.15  # standard deviation, in quanta
PROJECTOR_BASELINE = 0.075  # distance of projector and depth camera, which causes shadows beside silhouettes
EDGE_LOSS = 0.5  # probability that a pixel beside a jump in depth is missing
EDGE_JUMP = 0.08
DARK_LOSS = (0.2, 0.8)  # missing fraction of dark or shiny surfaces (hair, shoes, some clutter)
DARK_CLUTTER = 0.15  # probability
