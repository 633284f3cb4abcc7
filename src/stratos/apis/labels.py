"""The labels, annotations, taints and cloud tags that Stratos reads and writes, each defined once."""

from __future__ import annotations

GROUP = "stratos.sh"

# Labels on nodes (and, for ownership, on claims)
POOL = "stratos.sh/pool"
STATE = "stratos.sh/state"
INSTANCE_ID = "stratos.sh/instance-id"
STATE_SINCE = "stratos.sh/state-since"  # unix seconds when we write it; RFC 3339 is read too
CAPACITY_TYPE = "stratos.sh/capacity-type"

# Annotations on nodes
WARMUP_COMPLETED = "stratos.sh/warmup-completed"
LAST_STARTED = "stratos.sh/last-started"
SCALE_DOWN_CANDIDATE_SINCE = "stratos.sh/scale-down-candidate-since"
SCALE_UP_STARTED = "stratos.sh/scale-up-started"
CORDONED = "stratos.sh/cordoned"  # the cordon is ours; one without this is somebody else's, and stays

# Taints
NOT_READY_TAINT = "stratos.sh/not-ready"  # NoSchedule, while the network is not up
STANDBY_TAINT = "stratos.sh/standby"  # NoExecute, on standby nodes

# Tags on machines
TAG_MANAGED_BY = "managed-by"
MANAGED_BY = "stratos"
TAG_CLUSTER = "stratos.sh/cluster"
TAG_POOL = "stratos.sh/pool"
TAG_CLAIM = "stratos.sh/claim"
TAG_STATE = "stratos.sh/state"
TAG_STATE_NOTE = "stratos.sh/state-note"
TAG_CAPACITY_TYPE = "stratos.sh/capacity-type"

# Finalizers
POOL_FINALIZER = "stratos.sh/nodepool-finalizer"
CLAIM_FINALIZER = "stratos.sh/nodeclaim-finalizer"
CLASS_IN_USE_FINALIZER = "stratos.sh/in-use"

# The condition by which a host reports that the images it was asked to pull are on its disk
IMAGES_PULLED_CONDITION = "stratos.sh/ImagesPulled"

# By which a pod's owner asks that its node be left alone (others' word, understood here too)
DO_NOT_DISRUPT = "karpenter.sh/do-not-disrupt"

# Kubernetes' own
HOSTNAME = "kubernetes.io/hostname"
ARCH = "kubernetes.io/arch"
OS = "kubernetes.io/os"
INSTANCE_TYPE = "node.kubernetes.io/instance-type"
ZONE = "topology.kubernetes.io/zone"
REGION = "topology.kubernetes.io/region"
