"""Launch of a search: in this process or on a cluster.

* `launcher`: in this process or through a cluster's client port
* `ray_client`: driven from inside the cluster
* `ray_jobs`: submitted as a job
"""
