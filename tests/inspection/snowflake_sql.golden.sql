SELECT
  filename,
  MODEL("PCB_CV"."PUBLIC"."YOLO_PCB_DETECTOR", CHAMPION)!PREDICT(
    BASE64_ENCODE(image_bytes), BASE64_ENCODE(reference_bytes)
  ) AS found,
  found:call::STRING AS call,
  found:registration_score::DOUBLE AS registration_score,
  PARSE_JSON(found:detections::STRING) AS detections,
  found:error::STRING AS error
FROM "PCB_CV"."PUBLIC"."PCB_LABELED_DATA";

SELECT found.*
FROM "PCB_CV"."PUBLIC"."PCB_LABELED_DATA" AS images,
  TABLE(
    MODEL("PCB_CV"."PUBLIC"."YOLO_PCB_DETECTOR", CHAMPION)!DETECTIONS(
      images.filename, BASE64_ENCODE(images.image_bytes), BASE64_ENCODE(images.reference_bytes)
    ) OVER (PARTITION BY images.filename)
  ) AS found
ORDER BY found.board_id, found.confidence_score DESC;
