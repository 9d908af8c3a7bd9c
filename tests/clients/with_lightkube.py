"""lightkube: typed objects, a watch, a log, apply."""

from __future__ import annotations

from lightkube import Client
from lightkube.core.exceptions import ApiError
from lightkube.models.batch_v1 import JobSpec
from lightkube.models.core_v1 import Container, PodSpec, PodTemplateSpec
from lightkube.models.meta_v1 import ObjectMeta
from lightkube.resources.batch_v1 import Job
from lightkube.resources.core_v1 import ConfigMap, Pod


def main() -> None:
    client = Client(field_manager="lightkube")
    container = Container(name="c", image="busybox", command=["echo", "hello"])
    template = PodTemplateSpec(spec=PodSpec(containers=[container], restartPolicy="Never"))
    client.create(Job(metadata=ObjectMeta(name="light"), spec=JobSpec(template=template)))
    for _, job in client.watch(Job, fields={"metadata.name": "light"}, server_timeout=30):
        if job.status and job.status.succeeded:
            break
    pod = next(iter(client.list(Pod, labels={"job-name": "light"})))
    assert pod.metadata is not None
    assert list(client.log(str(pod.metadata.name))) == ["hello\n"]

    settings = ConfigMap(
        apiVersion="v1", kind="ConfigMap", metadata=ObjectMeta(name="light"), data={"a": "1"}
    )
    assert client.apply(settings).data == {"a": "1"}
    client.delete(ConfigMap, "light")
    try:
        client.get(ConfigMap, "light")
    except ApiError as error:
        assert error.status.reason == "NotFound"  # noqa: PT017
    client.delete(Job, "light")
    print("all is well")


main()
