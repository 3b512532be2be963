"""119 calls published by Seoul: the call-reception file of the national fire data platform (bigdata-119).

Grain: one row per call, occasionally one per responding unit; the file has no columns about units, so the feed has
calls and no dispatches. A snapshot: the source does not guarantee that the numbers (`dclr_rcpt_no`) are unique.
Pitfalls: `dclr_tm` has lost its leading zeros ('24' is 00:00:24); naive Korean time; trailing spaces; two pairs of
coordinates, the scene in degrees (`damg_rgn_lot`, `damg_rgn_lat`) and the place of the accident in metres
(`acdnt_ocrn_xcrd`, `acdnt_ocrn_ycrd`), both blank on most calls for advice. The scene takes precedence; metres are read
in the CRS that the profile declares for this feed.
"""

from pipelines.feeds.protocols import fire_files

FEED = fire_files.feed(
    "fire_calls_seoul",
    staged_like="call_file",
    used=(
        "dclr_rcpt_no",
        "dclr_ymd",
        "dclr_tm",
        "rcpt_path_nm",
        "emrg_rscu_assrt_nm",
        "emrg_rscu_clsf_nm",
        "prcs_rslt_se_nm",
        "damg_rgn_lot",
        "damg_rgn_lat",
        "acdnt_ocrn_xcrd",
        "acdnt_ocrn_ycrd",
        "clmty_ctpv_nm",
        "clmty_sgg_nm",
    ),
    unused=(
        "plcscn_cntr_nm",
        "cmptnc_frstn_nm",
        "emrg_rscu_scl_nm",
        "dclr_dt",
        "clmty_emd_nm",
        "rcpt_end_tm",
        "rcpt_end_dt",
        "rcpt_end_ymd",
        "centr_rsun_dspt_dmnd_yn",
        "otr_ctpv_dclr_yn",
        "grnds_sgg_nm",
        "grnds_ctpv_nm",
    ),
    coordinate_columns=("acdnt_ocrn_xcrd", "acdnt_ocrn_ycrd"),
)
